/* A small file, whole. */
#include "config/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* NONBLOCK: a FIFO where a file should be must not hang a reload. */
static int open_regular(const char *file, int *ret_fd, size_t *ret_size)
{
    struct stat status = {0};
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return -errno;
    }
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        close(fd);
        return S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
    }
    *ret_fd = fd;
    *ret_size = (size_t)status.st_size;
    return 0;
}

static int read_up_to(int fd, char *text, size_t most, size_t *ret_length)
{
    size_t length = 0;
    while (length < most) {
        ssize_t got = read(fd, text + length, most - length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -errno;
        }
        if (got == 0) {
            break;
        }
        length += (size_t)got;
    }
    *ret_length = length;
    return 0;
}

int slurp(const char *file, size_t maximum, char **ret_text, size_t *ret_length)
{
    int fd = -1;
    size_t size = 0, length = 0;
    int result = open_regular(file, &fd, &size);
    if (result < 0) {
        return result;
    }
    char *text = size <= maximum ? malloc(size + 1) : NULL;
    if (text) {
        result = read_up_to(fd, text, size, &length);
    } else {
        result = size <= maximum ? -ENOMEM : -EFBIG;
    }
    close(fd);
    if (result < 0) {
        free(text);
        return result;
    }
    text[length] = '\0';
    *ret_text = text;
    *ret_length = length;
    return 0;
}
