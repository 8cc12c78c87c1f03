#ifndef COVOL_URING_H
#define COVOL_URING_H

#endif
