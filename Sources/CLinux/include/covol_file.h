#ifndef COVOL_FILE_H
#define COVOL_FILE_H

#endif
