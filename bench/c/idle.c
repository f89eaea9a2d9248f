/* A service that only waits: what is left to measure is its supervisor. */
#include <unistd.h>

int main(void) {
	for (;;) pause();
}
