/* What system calls cost under a filter. Usage: calls COUNT; prints nanoseconds a call, one line a kind.
 *
 * All of them return at once, so that the filter's share shows: the first two are allowed whatever their arguments (the
 * kernel remembers that and asks no filter), the next two are allowed for some arguments, the last one is refused. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const struct {
    const char *kind;
    long number, first;
} KINDS[] = {
    {"first of the list", SYS_read, -1},
    {"late in the list", SYS_writev, -1},
    {"argument-checked, for one value of five", SYS_personality, 0xffffffff},
    {"argument-checked, unless it is one value", SYS_socket, -1},
    {"denied", SYS_kexec_load, -1},
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(int count, char **arguments)
{
    long calls = count > 1 ? atol(arguments[1]) / (sizeof KINDS / sizeof *KINDS) : 1000;
    for (size_t kind = 0; kind < sizeof KINDS / sizeof *KINDS; kind++) {
        double start = now();
        for (long i = 0; i < calls; i++)
            syscall(KINDS[kind].number, KINDS[kind].first, 0, 0, 0);
        printf("%s: %.1f\n", KINDS[kind].kind, (now() - start) / calls);
    }
    return 0;
}
