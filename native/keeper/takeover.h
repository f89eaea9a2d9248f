/* Both sides of the execve(2) by which one keeper becomes another one. */
#ifndef HOLDFAST_TAKEOVER_H
#define HOLDFAST_TAKEOVER_H

#include <stdbool.h>

struct keeper;

/* How this program was started, as its own first option says. */
enum start_mode { MODE_FRESH, MODE_TRIAL, MODE_TAKEOVER };

struct takeover {
	enum start_mode mode;
	int state;   /* descriptor of the state */
	int other;   /* of a trial: where the proof goes; of a takeover: the program of before, open */
	int error;   /* of a takeover: why the new program has given everything back; 0 = it is the new one */
};

/* Takes that option, if it is there, out of `argv`. Returns the arguments without it, with the program's name in front. */
char **takeover_parse(char **argv, struct takeover *takeover);

/*
 * The arguments for another keeper: `option` with its value, then our own. NULL without memory; to be freed.
 * The value stands in static memory.
 */
char **takeover_arguments(char *const *own, const struct takeover *takeover);

/* Becomes `program`. Returns errno if that fails; then nothing has changed. */
int takeover_begin(struct keeper *keeper, int program);

/* Fills and starts `keeper`, which is empty, from the state. 0 or errno; after an error the descriptors can be given back as they came. */
int takeover_resume(struct keeper *keeper, int state);

/* After an error of takeover_resume: becomes the program of before, which is told why. Returns errno if it cannot. */
int takeover_give_back(struct keeper *keeper, const struct takeover *takeover, int error);

#endif
