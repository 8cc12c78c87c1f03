// Shims for kernel interfaces that Swift cannot import directly. No logic: one prefix, -errno.
#ifndef COVOL_CLINUX_H
#define COVOL_CLINUX_H

#include "covol_block.h"
#include "covol_file.h"
#include "covol_fuse.h"
#include "covol_handover.h"
#include "covol_process.h"
#include "covol_scsi.h"
#include "covol_uring.h"

#endif
