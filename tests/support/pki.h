/*
 * pki: the PKI that tests use, made once by certs/make_pki beside the test programs.
 *
 * Its folder's name changes with make_pki and each week (one certificate is "not valid yet" for a
 * month), so what is there is always right; several tests may come at once. Read only.
 */
#ifndef MLLPGW_TESTS_SUPPORT_PKI_H
#define MLLPGW_TESTS_SUPPORT_PKI_H

/* Makes it where it is missing (5 s); fails the test when that doesn't work. Only test programs
 * know the path of tests/data, hence the macro. */
#define pki_make() pki_make_from(MLLPGW_TEST_DATA)
void pki_make_from(const char *test_data);
/* Path of a file of it ("ca.pem", "extra/expired.pem"); one of 16 buffers used in turn. */
const char *pki_file(const char *name);

#endif
