/* recorder.h - what the recorder (recorder.c) puts into a log, and nobody else (effects.c). */
#ifndef MW_CRASH_RECORDER_H
#define MW_CRASH_RECORDER_H

#include "effects.h"

#include <sys/stat.h>

#define NOBODY (-1) /* no object: outside the folder, or nothing */

/* Memory or the end of the program. */
void *effects_grown(void *memory, size_t size);
/* Of no object and no folder, not durable. Borrowed: valid until the next one is added. */
struct effect *effects_add(struct effects *log, enum effect_kind kind);
/* Returns its index. */
int effects_add_object(struct effects *log, enum object_kind kind, const struct stat *info);

#endif
