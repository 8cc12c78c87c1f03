// The target's anchor: everything else is inline in the headers or in covol_<topic>.c.
#include "CLinux.h"
