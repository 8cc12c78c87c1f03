import CLinux
import VolumeModel
public enum DeviceInspector {
    static let edgeBytes = 1 << 20
}
