#ifndef COVOL_BLOCK_H
#define COVOL_BLOCK_H

#endif
