#ifndef COVOL_FUSE_H
#define COVOL_FUSE_H

#endif
