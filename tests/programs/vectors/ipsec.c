// SPDX-License-Identifier: GPL-2.0
/* IPsec: security associations, by XFRM and by PF_KEY. */
#define _GNU_SOURCE
#include "vectors.h"

#include <arpa/inet.h>
#include <linux/pfkeyv2.h>
#include <linux/xfrm.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- XFRM ------------------------------------------------------------------------------------- */

static void begin_association(int family, int protocol)
{
	struct xfrm_usersa_info header = {
		.id = {
			.daddr.a4 = htonl(INADDR_LOOPBACK), .spi = htonl(0x1000), .proto = protocol,
		},
		.saddr.a4 = htonl(INADDR_LOOPBACK),
		.lft = { -1, -1, -1, -1 },
		.family = family,
		.sel.family = family,
		.mode = XFRM_MODE_TRANSPORT,
	};

	message(XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
}

/* A cipher or a hash, with a key of this many bytes. */
static void cipher(int attribute_type, const char *name, size_t length)
{
	struct {
		struct xfrm_algo cipher;
		char key[64];
	} data = { .cipher.alg_key_len = length * 8 };

	strncpy(data.cipher.alg_name, name, sizeof(data.cipher.alg_name) - 1);
	memset(data.key, 'k', length);
	attribute(attribute_type, &data, sizeof(data.cipher) + length);
}

static void aead(const char *name, size_t length)
{
	struct {
		struct xfrm_algo_aead cipher;
		char key[64];
	} data = { .cipher = { .alg_key_len = length * 8, .alg_icv_len = 128 } };

	strncpy(data.cipher.alg_name, name, sizeof(data.cipher.alg_name) - 1);
	memset(data.key, 'k', length);
	attribute(XFRMA_ALG_AEAD, &data, sizeof(data.cipher) + length);
}

/* The family, the protocol. */
static int xfrm_type(const struct vector *vector)
{
	begin_association(vector->a, vector->b);
	switch (vector->b) {
	case IPPROTO_ESP:
		cipher(XFRMA_ALG_AUTH, "hmac(sha256)", 32);
		cipher(XFRMA_ALG_CRYPT, "cbc(aes)", 16);
		break;
	case IPPROTO_AH:
		cipher(XFRMA_ALG_AUTH, "hmac(sha256)", 32);
		break;
	case IPPROTO_COMP:
		cipher(XFRMA_ALG_COMP, "deflate", 0);
	}
	return ask(NETLINK_XFRM);
}

/* As above, for a device that is to do the work. The kernel asks for its own part of that first. */
static int xfrm_offload(const struct vector *vector)
{
	struct xfrm_user_offload offload = { .ifindex = 1 };

	begin_association(vector->a, IPPROTO_ESP);
	cipher(XFRMA_ALG_AUTH, "hmac(sha256)", 32);
	cipher(XFRMA_ALG_CRYPT, "cbc(aes)", 16);
	attribute(XFRMA_OFFLOAD_DEV, &offload, sizeof(offload));
	return ask(NETLINK_XFRM);
}

/* The attribute, the length of the key. */
static int xfrm_cipher(const struct vector *vector)
{
	begin_association(AF_INET, vector->a == XFRMA_ALG_COMP ? IPPROTO_COMP : IPPROTO_ESP);
	if (vector->a == XFRMA_ALG_AEAD)
		aead(vector->text, vector->b);
	else
		cipher(vector->a, vector->text, vector->b);
	return ask(NETLINK_XFRM);
}

/* --- PF_KEY ----------------------------------------------------------------------------------- */

struct address {
	struct sadb_address head;
	struct sockaddr_in address;
};

struct key {
	struct sadb_key head;
	char bytes[32];
};

#define IN_WORDS(x) (sizeof(x) / 8)

/* The kind of association, the hash, the cipher. */
static int key_association(const struct vector *vector)
{
	struct {
		struct sadb_msg head;
		struct sadb_sa association;
		struct address from, to;
		struct key authentication, encryption;
	} message = {
		.head = {
			.sadb_msg_version = PF_KEY_V2, .sadb_msg_type = SADB_ADD,
			.sadb_msg_satype = vector->a, .sadb_msg_len = IN_WORDS(message),
			.sadb_msg_pid = getpid(),
		},
		.association = {
			.sadb_sa_len = IN_WORDS(struct sadb_sa), .sadb_sa_exttype = SADB_EXT_SA,
			.sadb_sa_spi = htonl(0x2000), .sadb_sa_auth = vector->b,
			.sadb_sa_encrypt = vector->c, .sadb_sa_state = SADB_SASTATE_MATURE,
		},
		.from = {
			.head = {
				.sadb_address_len = IN_WORDS(struct address),
				.sadb_address_exttype = SADB_EXT_ADDRESS_SRC,
			},
			.address = { AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
		},
		.to = {
			.head = {
				.sadb_address_len = IN_WORDS(struct address),
				.sadb_address_exttype = SADB_EXT_ADDRESS_DST,
			},
			.address = { AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
		},
		.authentication.head = {
			.sadb_key_len = IN_WORDS(struct key),
			.sadb_key_exttype = SADB_EXT_KEY_AUTH, .sadb_key_bits = 256,
		},
		.encryption.head = {
			.sadb_key_len = IN_WORDS(struct key),
			.sadb_key_exttype = SADB_EXT_KEY_ENCRYPT, .sadb_key_bits = 128,
		},
	};
	int fd = socket(PF_KEY, SOCK_RAW, PF_KEY_V2);

	return write(fd, &message, sizeof(message)) < 0;
}

/* --- All of them ------------------------------------------------------------------------------ */

#define TYPE(f, p) { "xfrm-type-" #f "-" #p, xfrm_type, f, p }
#define CIPHER(name, key) { "crypto-" name, xfrm_cipher, XFRMA_ALG_CRYPT, key, .text = name }
#define HASH(name, key) { "crypto-" name, xfrm_cipher, XFRMA_ALG_AUTH, key, .text = name }
#define COMPRESSION(name) { "crypto-" name, xfrm_cipher, XFRMA_ALG_COMP, .text = name }
#define AEAD(name, key) { "crypto-" name, xfrm_cipher, XFRMA_ALG_AEAD, key, .text = name }

const struct class ipsec_classes[] = {
	/* net/xfrm/xfrm_state.c */
	{ "ipsec", "xfrm-*", 1, VECTORS{
		TYPE(2, 50), TYPE(2, 108), TYPE(10, 50), TYPE(10, 51), TYPE(10, 108),
		{ "xfrm-offload-10-50", xfrm_offload, AF_INET6 },
		/* By PF_KEY. */
		{ "xfrm-type-2-51", key_association, SADB_SATYPE_AH, SADB_X_AALG_SHA2_256HMAC },
		{ }
	} },
	/* crypto/api.c, for net/xfrm/xfrm_algo.c */
	{ "ciphers-of-ipsec", "crypto-*", 1, VECTORS{
		CIPHER("cbc(des3_ede)", 24), CIPHER("cbc(blowfish)", 16),
		CIPHER("cbc(camellia)", 16), CIPHER("cbc(twofish)", 16), CIPHER("cbc(sm4)", 16),
		HASH("hmac(sm3)", 32), AEAD("rfc4309(ccm(aes))", 19),
		AEAD("rfc4543(gcm(aes))", 20), AEAD("rfc7539esp(chacha20,poly1305)", 36),
		COMPRESSION("deflate"), COMPRESSION("lzs"), COMPRESSION("lzjh"),
		/* By PF_KEY. */
		{ "crypto-cbc(cast5)", key_association, SADB_SATYPE_ESP, 0, SADB_X_EALG_CASTCBC },
		{ "crypto-cbc(des)", key_association, SADB_SATYPE_ESP, 0, SADB_EALG_DESCBC },
		{ }
	} },
	{ }
};
