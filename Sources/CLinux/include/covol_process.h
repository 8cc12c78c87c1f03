#ifndef COVOL_PROCESS_H
#define COVOL_PROCESS_H

#endif
