import Testing
import Transport
import NIOEmbedded
