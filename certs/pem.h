/*
 * pem: files with certificates, keys and CRLs, as bytes; PEM or DER.
 *
 * mbedTLS looks at PEM as a C string, so text behind a NUL would be ignored in silence: such a file
 * (UTF-16, most often) is refused here instead. Each block is handed over by itself, so that an
 * error can name it. Ownership: the caller frees what pem_read() gives; pem_free() wipes it first,
 * for it may be a key. Threads: no shared state.
 */
#ifndef MLLPGW_CERTS_PEM_H
#define MLLPGW_CERTS_PEM_H

#include <mbedtls/x509_crt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PEM_FILE_MAX = 64 * 1024 * 1024 }; /* public CRLs reach tens of megabytes */
enum { PEM_ERROR_MAX = 256 };

struct pem_file {
    unsigned char *data; /* one NUL behind the end */
    size_t length;
    bool is_der;
};

/* 0, or a negative errno with a sentence (without the file's name) in ret_error. */
__attribute__((warn_unused_result)) int pem_read(const char *path, struct pem_file *ret_file,
                                                 char ret_error[PEM_ERROR_MAX]);
void pem_free(struct pem_file *file);

/* One DER object, number counting from 1. Non-zero stops and is pem_each()'s answer. */
typedef int pem_each_callback(void *context, size_t number, const unsigned char *der,
                              size_t length);
/* Every block called name ("CERTIFICATE", "X509 CRL"), or the whole of a DER file. Answers the
 * callback's last value, or -EINVAL with a sentence; -ENOENT where the file has no such block. */
__attribute__((warn_unused_result)) int pem_each(const struct pem_file *file, const char *name,
                                                 pem_each_callback *each, void *context,
                                                 char ret_error[PEM_ERROR_MAX]);

/* mbedTLS's error in words, without its module's name. */
void pem_mbedtls_error(int error, char *ret_text, size_t size);

#endif
