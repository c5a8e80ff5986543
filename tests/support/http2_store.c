/* links: base */
#include "support/http2_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define HTTP2_STORE_ARGUMENTS 24
#define HTTP2_STORE_TEXTS 33
#define HTTP2_STORE_TEXT_BYTES 2048

static char *http2_store_text(void)
{
    static char texts[HTTP2_STORE_TEXTS][HTTP2_STORE_TEXT_BYTES];
    static unsigned next;

    return texts[next++ % HTTP2_STORE_TEXTS];
}

const char *http2_store_file(const struct http2_store *store, const char *name)
{
    char *text = http2_store_text();

    snprintf(text, HTTP2_STORE_TEXT_BYTES, "%s/%s", store->directory, name);
    return text;
}

const char *http2_store_url(const struct http2_store *store, const char *name, const char *steps)
{
    char *text = http2_store_text();

    snprintf(text, HTTP2_STORE_TEXT_BYTES, "https://localhost:%d/%s?steps=%s", store->port, name,
             steps);
    return text;
}

static bool http2_store_run(const char *const *arguments)
{
    int status = -1;
    pid_t pid;

    if (posix_spawnp(&pid, arguments[0], NULL, NULL, (char *const *)(const void *)arguments,
                     environ) != 0)
        return false;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool http2_store_make_pki(struct http2_store *store, const char *test_data)
{
    char script[HTTP2_STORE_TEXT_BYTES];

    *store = (struct http2_store){.input = -1};
    snprintf(store->directory, sizeof(store->directory), "/tmp/mllpgw-test-XXXXXX");
    if (mkdtemp(store->directory) == NULL)
        return false;
    snprintf(store->requests, sizeof(store->requests), "%s/requests", store->directory);
    snprintf(script, sizeof(script), "%s/../../certs/make_pki", test_data);
    return mkdir(store->requests, 0700) == 0 &&
           http2_store_run((const char *[]){script, "--quiet", store->directory, NULL});
}

/* Reads "port N", perhaps "proxy N" and "plain N", and "ready". */
static void read_port(const char *line, const char *word, int *ret_port)
{
    size_t length = strlen(word);

    if (strncmp(line, word, length) == 0)
        *ret_port = (int)strtol(line + length, NULL, 10);
}

static bool http2_store_wait(struct http2_store *store, int output_fd)
{
    FILE *output = fdopen(output_fd, "r");
    char line[128];
    bool ready = false;

    if (output == NULL) {
        close(output_fd);
        return false;
    }
    while (!ready && fgets(line, sizeof(line), output) != NULL) {
        read_port(line, "port ", &store->port);
        read_port(line, "proxy ", &store->proxy_port);
        read_port(line, "plain ", &store->plain_port);
        ready = strcmp(line, "ready\n") == 0;
    }
    fclose(output);
    return ready;
}

static bool http2_store_spawn(struct http2_store *store, const char *const *arguments)
{
    int input[2], output[2], result;
    posix_spawn_file_actions_t actions;

    if (pipe2(input, O_CLOEXEC) != 0)
        return false;
    if (pipe2(output, O_CLOEXEC) != 0) {
        close(input[0]);
        close(input[1]);
        return false;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input[0], 0);
    posix_spawn_file_actions_adddup2(&actions, output[1], 1);
    result = posix_spawnp(&store->pid, arguments[0], &actions, NULL,
                          (char *const *)(const void *)arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(input[0]);
    close(output[1]);
    store->input = input[1];
    if (result == 0)
        return http2_store_wait(store, output[0]);
    store->pid = 0;
    close(output[0]);
    return false;
}

static bool http2_store_start_script(struct http2_store *store, const char *const *command,
                                     const char *directory, const char *const *options)
{
    const char *arguments[HTTP2_STORE_ARGUMENTS] = {NULL};
    size_t count = 0;

    while (command[count] != NULL) {
        arguments[count] = command[count];
        count++;
    }
    arguments[count++] = "--directory";
    arguments[count++] = directory;
    arguments[count++] = "--certificate";
    arguments[count++] = http2_store_file(store, "server.pem");
    arguments[count++] = "--key";
    arguments[count++] = http2_store_file(store, "server.key");
    for (; *options != NULL && count < HTTP2_STORE_ARGUMENTS - 1; options++)
        arguments[count++] = **options == '@' ? http2_store_file(store, *options + 1) : *options;
    return http2_store_spawn(store, arguments);
}

static bool http2_store_start_node(struct http2_store *store, const char *test_data,
                                   const char *name, const char *const *more,
                                   const char *const *options)
{
    char script[HTTP2_STORE_TEXT_BYTES];
    const char *command[5] = {"node", script};

    if (!http2_store_run((const char *[]){"sh", "-c", "command -v node >/dev/null", NULL}))
        return false;
    snprintf(script, sizeof(script), "%s/../support/%s", test_data, name);
    for (size_t i = 0; more[i] != NULL; i++)
        command[2 + i] = more[i];
    return http2_store_start_script(store, command, store->requests, options);
}

bool http2_store_start(struct http2_store *store, const char *test_data, const char *const *options)
{
    return http2_store_start_node(store, test_data, "http2_store.mjs", (const char *[]){NULL},
                                  options);
}

bool http2_store_start_google(struct http2_store *store, const char *test_data,
                              const char *const *options)
{
    return http2_store_start_node(store, test_data, "google_store.mjs",
                                  (const char *[]){"--credentials", store->directory, NULL},
                                  options);
}

bool http2_store_start_nginx(struct http2_store *store, const char *test_data,
                             const char *const *options)
{
    static const char search[] = "command -v nginx >/dev/null || test -x /usr/sbin/nginx";
    char script[HTTP2_STORE_TEXT_BYTES];

    if (!http2_store_run((const char *[]){"sh", "-c", search, NULL}))
        return false;
    snprintf(script, sizeof(script), "%s/../support/nginx_store", test_data);
    return http2_store_start_script(store, (const char *[]){script, NULL}, store->directory,
                                    options);
}

void http2_store_end(struct http2_store *store)
{
    if (store->input >= 0)
        close(store->input);
    store->input = -1;
    if (store->pid > 0)
        (void)waitpid(store->pid, NULL, 0);
    store->pid = 0;
}

void http2_store_stop(struct http2_store *store)
{
    http2_store_end(store);
    if (store->directory[0] != '\0')
        (void)http2_store_run((const char *[]){"rm", "-rf", "--", store->directory, NULL});
    store->directory[0] = '\0';
}

unsigned http2_store_requests(const struct http2_store *store)
{
    DIR *directory = opendir(store->requests);
    unsigned count = 0;

    if (directory == NULL)
        return 0;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        size_t length = strlen(entry->d_name);

        if (length > 5 && strcmp(entry->d_name + length - 5, ".json") == 0)
            count++;
    }
    closedir(directory);
    return count;
}

char *http2_store_request(const struct http2_store *store, unsigned number, const char *kind,
                          size_t *ret_length)
{
    char name[HTTP2_STORE_TEXT_BYTES], *text = NULL;
    struct stat size;
    FILE *file;

    snprintf(name, sizeof(name), "%s/%04u.%s", store->requests, number, kind);
    file = fopen(name, "re");
    if (file == NULL)
        return NULL;
    if (fstat(fileno(file), &size) == 0)
        text = calloc(1, (size_t)size.st_size + 1);
    if (text != NULL && fread(text, 1, (size_t)size.st_size, file) != (size_t)size.st_size) {
        free(text);
        text = NULL;
    }
    fclose(file);
    if (text != NULL && ret_length != NULL)
        *ret_length = (size_t)size.st_size;
    return text;
}
