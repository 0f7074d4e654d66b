/* Where a program is started with stdin, stdout or stderr closed, Rust's start puts /dev/null in its place,
   and all output is lost without an error. No Rust code runs before that, so this is C: it takes the place
   first, with /dev/null opened the wrong way round. Reading and writing then fail as on what is closed. */

#include <fcntl.h>

static void stand_in(int descriptor, int flags)
{
    if (fcntl(descriptor, F_GETFD) == -1)
        (void)!open("/dev/null", flags);
}

__attribute__((constructor)) static void before_rust(void)
{
    stand_in(0, O_WRONLY);
    stand_in(1, O_RDONLY);
    stand_in(2, O_RDONLY);
}
