/*
 * fuzz_main: runs a fuzz target over files without libFuzzer, so that every build repeats the corpus.
 * Arguments are files or folders of files; the empty input is always tried first.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path, off_t size)
{
    FILE *file = fopen(path, "rb");
    /* Exactly as large as the input, so that ASan sees a read past its end. */
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
    size_t got = 0;

    if (file != NULL && data != NULL)
        got = fread(data, 1, (size_t)size, file);
    if (file == NULL || data == NULL || got != (size_t)size) {
        fprintf(stderr, "can't read %s\n", path);
        exit(1);
    }
    fclose(file);
    LLVMFuzzerTestOneInput(data, got);
    free(data);
    return 1;
}

static int run_path(const char *path)
{
    struct stat status;
    struct dirent *entry = NULL;
    DIR *folder = NULL;
    int count = 0;

    if (stat(path, &status) != 0) {
        /* A target may have no corpus yet. */
        if (errno == ENOENT)
            return 0;
        perror(path);
        exit(1);
    }
    if (!S_ISDIR(status.st_mode))
        return run_file(path, status.st_size);
    folder = opendir(path);
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char name[PATH_MAX];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        count += run_path(name);
    }
    if (folder != NULL)
        closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    uint8_t nothing = 0;
    int count = 0;

    LLVMFuzzerTestOneInput(&nothing, 0);
    for (int i = 1; i < argc; i++)
        count += run_path(argv[i]);
    printf("%d files\n", count);
    return 0;
}
