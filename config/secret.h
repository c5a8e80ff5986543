/*
 * secret: files that hold keys and passwords.
 *
 * Refused: readable by others; writable by group or others. Group-readable is accepted (Kubernetes
 * mounts secrets so). The content never reaches a log or an error text.
 * Errors: -EPERM for the mode, -EINVAL for what is no regular file or no single line, -EFBIG over the
 * limit, -EAGAIN when it changes while being read, else open's and read's own. ret_error gets
 * one sentence that names the file and what to do (may be NULL).
 */
#ifndef MLLPGW_CONFIG_SECRET_H
#define MLLPGW_CONFIG_SECRET_H

#include <stddef.h>

#define SECRET_ERROR_BYTES 512

/* Reads the whole file, NUL-terminated besides; free with secret_free(). */
__attribute__((warn_unused_result)) int secret_read(const char *path, size_t maximum_bytes,
                                                    char **ret_text, size_t *ret_length,
                                                    char ret_error[SECRET_ERROR_BYTES]);
/* As secret_read(), and drops one trailing newline (LF or CRLF). */
__attribute__((warn_unused_result)) int secret_read_line(const char *path, size_t maximum_bytes,
                                                         char **ret_text,
                                                         char ret_error[SECRET_ERROR_BYTES]);
/* Wipes and frees; NULL is fine. */
void secret_free(char **text, size_t length);
/* Only the file's kind and mode. */
__attribute__((warn_unused_result)) int secret_check_mode(const char *path,
                                                          char ret_error[SECRET_ERROR_BYTES]);

#endif
