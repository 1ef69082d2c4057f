/* SPDX-License-Identifier: MIT
 * What DANE says about the server's certificate (RFC 7671 section 5.1: DANE-EE, SPKI, SHA-256). */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "cli/cli.h"

bool
cli_certificate_digest(const char *path, uint8_t digest[static 32])
{
	FILE *f = fopen(path, "re");
	X509 *x = f == NULL ? NULL : PEM_read_X509(f, NULL, NULL, NULL);
	unsigned char *der = NULL;
	int n = x == NULL ? -1 : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	bool ok = n > 0 && EVP_Digest(der, (size_t)n, digest, NULL, EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	X509_free(x);
	if (f != NULL)
		(void)fclose(f);
	return ok;
}
