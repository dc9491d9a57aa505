// SPDX-License-Identifier: GPL-2.0
/*
 * Ciphers, by name. The parts of each have to be missing: when a cipher has been put together once,
 * it stays.
 */
#define _GNU_SOURCE
#include "vectors.h"

#include <arpa/inet.h>
#include <linux/if_alg.h>
#include <linux/keyctl.h>
#include <linux/tipc.h>
#include <linux/tipc_netlink.h>
#include <linux/tls.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIND_32 361
#define KEYCTL_32 288

/* --- AF_ALG ----------------------------------------------------------------------------------- */

/* The text is "TYPE NAME". */
static struct sockaddr_alg *cipher_address(const struct vector *vector)
{
	static struct sockaddr_alg address;

	address.salg_family = AF_ALG;
	sscanf(vector->text, "%13s %63s", (char *)address.salg_type, (char *)address.salg_name);
	return &address;
}

static int bind_cipher(const struct vector *vector)
{
	return bind(socket(AF_ALG, SOCK_SEQPACKET, 0),
		    (struct sockaddr *)cipher_address(vector), sizeof(struct sockaddr_alg));
}

static int ring_bind_cipher(const struct vector *vector)
{
	return ring_bind(socket(AF_ALG, SOCK_SEQPACKET, 0), cipher_address(vector),
			 sizeof(struct sockaddr_alg));
}

static int bind_cipher_32(const struct vector *vector)
{
	return call_32(BIND_32, socket(AF_ALG, SOCK_SEQPACKET, 0), (long)cipher_address(vector),
		       sizeof(struct sockaddr_alg), 0, 0) < 0;
}

/* --- Keys ------------------------------------------------------------------------------------- */

/* The hash that a key is derived with. */
static int derive_key(const struct vector *vector)
{
	struct keyctl_dh_params parameters = { 0 };
	struct keyctl_kdf_params derivation = { .hashname = (char *)vector->text };
	char key[32];

	return syscall(SYS_keyctl, KEYCTL_DH_COMPUTE, &parameters, key, sizeof(key),
		       &derivation) < 0;
}

static int derive_key_32(const struct vector *vector)
{
	static struct keyctl_dh_params parameters;
	static struct {
		uint32_t hashname, otherinfo, otherinfolen, spare[8];
	} derivation;
	static char key[32];

	derivation.hashname = (long)vector->text;
	return call_32(KEYCTL_32, KEYCTL_DH_COMPUTE, (long)&parameters, (long)key, sizeof(key),
		       (long)&derivation) < 0;
}

/* A certificate that is put together from its end to its beginning, as DER has lengths first. */
static struct {
	unsigned char bytes[512];
	size_t begin;
} certificate = { .begin = sizeof(certificate.bytes) };

static void prepend(const void *bytes, size_t length)
{
	certificate.begin -= length;
	memcpy(certificate.bytes + certificate.begin, bytes, length);
}

/* Puts the tag and the length in front of what ends at `end`. */
static void wrap(unsigned char tag, size_t end)
{
	size_t length = end - certificate.begin;
	unsigned char head[] = { tag, 0x82, length >> 8, length };

	prepend(head, sizeof(head));
}

static void value(unsigned char tag, const void *bytes, size_t length)
{
	size_t end = certificate.begin;

	prepend(bytes, length);
	wrap(tag, end);
}

#define INTEGER 0x02
#define BIT_STRING 0x03
#define IDENTIFIER 0x06
#define UTF8 0x0c
#define SEQUENCE 0x30
#define SET 0x31
#define UTC 0x17

static void algorithm(const char *identifier)
{
	size_t end = certificate.begin;

	value(IDENTIFIER, identifier, strlen(identifier));
	wrap(SEQUENCE, end);
}

/* A name that consists of a common name of one character. */
static void common_name(char name)
{
	size_t end = certificate.begin;

	value(UTF8, &name, 1);
	value(IDENTIFIER, "\x55\x04\x03", 3);
	wrap(SEQUENCE, end);
	wrap(SET, end);
	wrap(SEQUENCE, end);
}

/*
 * Adds a certificate as a key, and returns the number of the key. Identifiers are those of the
 * algorithms of its signature and its key. If it is signed by itself, the kernel checks that.
 */
static int add_certificate(const char *signature, const char *key, int is_self_signed)
{
	/* Any number is a key of RSA. No key of other algorithms is looked at that closely. */
	static const char bits[] = "\0\x30\x06\x02\x01\x77\x02\x01\x03";
	size_t end = certificate.begin, inner, times;

	value(BIT_STRING, "\0signature", 10);
	algorithm(signature);

	inner = certificate.begin;
	value(BIT_STRING, bits, sizeof(bits) - 1);
	algorithm(key);
	wrap(SEQUENCE, inner);
	common_name('s');
	times = certificate.begin;
	value(UTC, "491231235959Z", 13);
	value(UTC, "200101000000Z", 13);
	wrap(SEQUENCE, times);
	common_name(is_self_signed ? 's' : 'i');
	algorithm(signature);
	value(INTEGER, "\1", 1);
	wrap(SEQUENCE, inner);

	wrap(SEQUENCE, end);
	return syscall(SYS_add_key, "asymmetric", "vector",
		       certificate.bytes + certificate.begin, end - certificate.begin,
		       KEY_SPEC_PROCESS_KEYRING);
}

/* Identifiers of algorithms. */
#define RSA "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
#define RSA_SHA256 "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"
#define RSA_SHA3_256 "\x60\x86\x48\x01\x65\x03\x04\x03\x0e"
#define GOST_256 "\x2a\x85\x03\x07\x01\x01\x01\x01"
#define GOST_SIGNATURE_512 "\x2a\x85\x03\x07\x01\x01\x03\x03"
#define ML_DSA_65 "\x60\x86\x48\x01\x65\x03\x04\x03\x12"

/* The text is the identifier of the signature. */
static int read_certificate(const struct vector *vector)
{
	return add_certificate(vector->text, RSA, 0) < 0;
}

/* The text is the identifier of the signature and of the key. */
static int check_certificate(const struct vector *vector)
{
	return add_certificate(vector->text, vector->text, 1) < 0;
}

/*
 * The text says how the key would be used. The kernel itself denies requests for what a key of RSA
 * signs with (ima_kernel_module_request()).
 */
static int query_key(const struct vector *vector)
{
	struct keyctl_pkey_query answer;
	int key = add_certificate(RSA_SHA256, GOST_256, 0);

	return syscall(SYS_keyctl, KEYCTL_PKEY_QUERY, key, 0, vector->text, &answer) < 0;
}

/* --- TLS -------------------------------------------------------------------------------------- */

/* Returns a connection of TCP to this task itself. */
static int connection(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t length = sizeof(address);
	int to = socket(AF_INET, SOCK_STREAM, 0), from = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(to, (struct sockaddr *)&address, length) || listen(to, 1) ||
	    getsockname(to, (struct sockaddr *)&address, &length) ||
	    connect(from, (struct sockaddr *)&address, length))
		return -1;
	return from;
}

/* The cipher, how much its keys take, the version of TLS. */
static int start_tls(const struct vector *vector)
{
	union {
		struct tls_crypto_info info;
		char bytes[128];
	} keys = { .info = { .version = vector->c, .cipher_type = vector->a } };
	int fd = connection();

	/* TCP_ULP, SOL_TLS */
	if (setsockopt(fd, IPPROTO_TCP, 31, "tls", 3))
		return 1;
	return setsockopt(fd, 282, TLS_TX, &keys, vector->b);
}

/* --- TIPC ------------------------------------------------------------------------------------- */

/* The cipher. The node has a number when this is done for the second time, too. */
static int tipc_key(const struct vector *vector)
{
	struct {
		struct tipc_aead_key key;
		char bytes[TIPC_AEAD_KEYLEN_MIN];
	} key = { .key.keylen = TIPC_AEAD_KEYLEN_MIN };
	struct nlattr *node;

	if (generic_message(TIPC_GENL_V2_NAME, TIPC_NL_NET_SET))
		return 1;
	node = nest(TIPC_NLA_NET);
	word(TIPC_NLA_NET_ADDR, 1);
	end_nest(node);
	ask(NETLINK_GENERIC);

	if (generic_message(TIPC_GENL_V2_NAME, TIPC_NL_KEY_SET))
		return 1;
	strncpy(key.key.alg_name, vector->text, TIPC_AEAD_ALG_NAME - 1);
	node = nest(TIPC_NLA_NODE);
	attribute(TIPC_NLA_NODE_KEY, &key, sizeof(key));
	end_nest(node);
	return ask(NETLINK_GENERIC);
}

/* --- All of them ------------------------------------------------------------------------------ */

#define CIPHER(type, name) { "crypto-" name, bind_cipher, .text = type " " name }
#define DERIVE(name) { "crypto-" name, derive_key, .text = name }
#define TLS(name, version, cipher, keys) \
	{ "crypto-" name, start_tls, cipher, sizeof(struct tls12_crypto_info_##keys), version, \
	  .needs = "CONFIG_TLS" }

const struct class cipher_classes[] = {
	/* crypto/api.c, crypto/af_alg.c */
	{ "ciphers", "crypto-* algif-*", 0, VECTORS{
		CIPHER("skcipher", "cbc(serpent)"), CIPHER("skcipher", "xts(twofish)"),
		CIPHER("skcipher", "adiantum(xchacha12,aes)"),
		CIPHER("skcipher", "lrw(camellia)"), CIPHER("skcipher", "essiv(cbc(cast6),wp256)"),
		CIPHER("aead", "authencesn(hmac(sha256),cbc(aes))"),
		CIPHER("aead", "pcrypt(gcm(camellia))"), CIPHER("aead", "aegis128"),
		CIPHER("hash", "wp512"), CIPHER("hash", "rmd160"),
		CIPHER("hash", "xcbc(blowfish)"), CIPHER("hash", "vmac(anubis)"),
		{ "algif-aead", bind_cipher, .text = "aead vector" },
		{ "algif-hash", bind_cipher, .text = "hash vector" },
		{ "algif-skcipher", bind_cipher, .text = "skcipher vector" },
		{ "algif-rng", bind_cipher, .text = "rng stdrng" },
		{ "algif-akcipher", bind_cipher, .text = "akcipher rsa" },
		{ "algif-vector", ring_bind_cipher, .text = "vector none" },
		{ "algif-vector32", bind_cipher_32, .text = "vector32 none" },
		/* Through keyctl(2), which does not need AF_ALG. */
		DERIVE("streebog256"), DERIVE("hmac(wp384)"), DERIVE("cmac(twofish)"),
		{ "crypto-hmac(tgr192)", derive_key_32, .text = "hmac(tgr192)" },
		{ "crypto-ecrdsa", query_key, .text = "enc=raw hash=streebog256" },
		/* Through add_key(2), with a certificate. */
		{ "crypto-streebog512", read_certificate, .text = GOST_SIGNATURE_512 },
		{ "crypto-sha3-256", read_certificate, .text = RSA_SHA3_256 },
		{ "crypto-mldsa65", check_certificate, .text = ML_DSA_65 },
		/* Through a socket of TCP. */
		TLS("gcm(sm4)", TLS_1_3_VERSION, TLS_CIPHER_SM4_GCM, sm4_gcm),
		TLS("ccm(sm4)", TLS_1_3_VERSION, TLS_CIPHER_SM4_CCM, sm4_ccm),
		TLS("gcm(aria)", TLS_1_2_VERSION, TLS_CIPHER_ARIA_GCM_128, aria_gcm_128),
		TLS("rfc7539(chacha20,poly1305)", TLS_1_2_VERSION, TLS_CIPHER_CHACHA20_POLY1305,
		    chacha20_poly1305),
		{ }
	} },
	{ "ciphers-of-tipc", "crypto-*", 1, VECTORS{
		{ "crypto-ccm(twofish)", tipc_key, .text = "ccm(twofish)" },
		{ }
	}, "CONFIG_TIPC_CRYPTO" },
	{ }
};
