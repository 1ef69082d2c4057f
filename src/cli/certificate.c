/* SPDX-License-Identifier: MIT
 * What DNS records say about the server's certificate: DANE (RFC 7671 section 5.1: DANE-EE, SPKI, SHA-256), and who
 * may issue it (CAA). */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "cli/cli.h"

/* Names of CAs in CAA records, as each says in its practice statement, by the organization in their certificates. */
static const struct {
	const char *organization;
	struct slice caa;
} ISSUERS[] = {
	{ "Let's Encrypt", S_INIT("letsencrypt.org") },
	{ "ZeroSSL", S_INIT("sectigo.com") },
	{ "Sectigo Limited", S_INIT("sectigo.com") },
	{ "Google Trust Services", S_INIT("pki.goog") },
	{ "Google Trust Services LLC", S_INIT("pki.goog") },
	{ "Buypass AS-983163327", S_INIT("buypass.com") },
	{ "DigiCert Inc", S_INIT("digicert.com") },
	{ "DigiCert, Inc.", S_INIT("digicert.com") },
	{ "GlobalSign nv-sa", S_INIT("globalsign.com") },
	{ "SSL Corporation", S_INIT("ssl.com") },
	{ "Actalis S.p.A.", S_INIT("actalis.it") },
	{ "SwissSign AG", S_INIT("swisssign.com") },
	{ "GoDaddy.com, Inc.", S_INIT("godaddy.com") },
	{ "Amazon", S_INIT("amazon.com") },
};

static struct slice
issuer_of(const X509 *x)
{
	char organization[128] = "";

	(void)X509_NAME_get_text_by_NID(X509_get_issuer_name(x), NID_organizationName, organization, sizeof organization);
	for (size_t i = 0; i < sizeof ISSUERS / sizeof *ISSUERS; i++)
		if (slice_eq(slice_z(organization), slice_z(ISSUERS[i].organization)))
			return ISSUERS[i].caa;
	return S("");
}

static bool
has_wildcard(X509 *x)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);

		found = found || (n->type == GEN_DNS &&
		    slice_starts(slice_of(ASN1_STRING_get0_data(n->d.dNSName), (size_t)ASN1_STRING_length(n->d.dNSName)),
			S("*.")));
	}
	GENERAL_NAMES_free(names);
	return found;
}

bool
cli_certificate(const char *path, struct cli_certificate *out)
{
	FILE *f = fopen(path, "re");
	X509 *x = f == NULL ? NULL : PEM_read_X509(f, NULL, NULL, NULL);
	unsigned char *der = NULL;
	int n = x == NULL ? -1 : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	bool ok = n > 0 && EVP_Digest(der, (size_t)n, out->spki, NULL, EVP_sha256(), NULL) == 1;

	if (ok) {
		out->self_signed = X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0;
		out->wildcard = has_wildcard(x);
		out->caa = out->self_signed ? S("") : issuer_of(x);
	}
	OPENSSL_free(der);
	X509_free(x);
	if (f != NULL)
		(void)fclose(f);
	return ok;
}
