// SPDX-License-Identifier: GPL-2.0
/*
 * A security module that answers -EPERM to requests for names that begin with
 * deny-p, and -EACCES to those that begin with deny-a. With an argument, which
 * has 8 characters, it answers -EPERM to requests for names that begin with
 * these, and to no others. Prints "ready" when it
 * is in force. It ends with this program, which ends when it is killed or when
 * its parent has ended. The program does not use libbpf, which cannot be linked
 * statically here.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(size, to, from, offset_) \
	{ .code = BPF_LDX | BPF_MEM | (size), .dst_reg = (to), .src_reg = (from), .off = (offset_) }
#define MOVE(to, from) \
	{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (to), .src_reg = (from) }
#define SET(to, value) \
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (to), .imm = (value) }
#define ADD(to, value) \
	{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = (to), .imm = (value) }
#define CALL(function) \
	{ .code = BPF_JMP | BPF_CALL, .imm = (function) }
#define SKIP_UNLESS(reg, value, instructions) \
	{ .code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = (reg), .imm = (value), .off = (instructions) }
#define EXIT { .code = BPF_JMP | BPF_EXIT }

static const struct bpf_insn program[] = {
	/* char buffer[8]; bpf_probe_read_kernel_str(buffer, 8, name); */
	LOAD(BPF_DW, BPF_REG_3, BPF_REG_1, 0),
	MOVE(BPF_REG_1, BPF_REG_10),
	ADD(BPF_REG_1, -8),
	SET(BPF_REG_2, 8),
	CALL(BPF_FUNC_probe_read_kernel_str),
	/* "deny" as a number, then "-", then the letter for the answer. */
	LOAD(BPF_W, BPF_REG_1, BPF_REG_10, -8),
	SKIP_UNLESS(BPF_REG_1, 'd' | 'e' << 8 | 'n' << 16 | 'y' << 24, 9),
	LOAD(BPF_B, BPF_REG_1, BPF_REG_10, -4),
	SKIP_UNLESS(BPF_REG_1, '-', 7),
	LOAD(BPF_B, BPF_REG_1, BPF_REG_10, -3),
	SKIP_UNLESS(BPF_REG_1, 'p', 2),
	SET(BPF_REG_0, -EPERM),
	EXIT,
	SKIP_UNLESS(BPF_REG_1, 'a', 2),
	SET(BPF_REG_0, -EACCES),
	EXIT,
	SET(BPF_REG_0, 0),
	EXIT,
};

/* The same for a beginning of 8 characters, which main() enters. */
static struct bpf_insn program_for_beginning[] = {
	/* char buffer[16]; bpf_probe_read_kernel_str(buffer, 9, name); */
	LOAD(BPF_DW, BPF_REG_3, BPF_REG_1, 0),
	MOVE(BPF_REG_1, BPF_REG_10),
	ADD(BPF_REG_1, -16),
	SET(BPF_REG_2, 9),
	CALL(BPF_FUNC_probe_read_kernel_str),
	SET(BPF_REG_0, 0),
	LOAD(BPF_W, BPF_REG_1, BPF_REG_10, -16),
#define FIRST_HALF 7
	SKIP_UNLESS(BPF_REG_1, 0, 3),
	LOAD(BPF_W, BPF_REG_1, BPF_REG_10, -12),
#define SECOND_HALF 9
	SKIP_UNLESS(BPF_REG_1, 0, 1),
	SET(BPF_REG_0, -EPERM),
	EXIT,
};

/* Returns how long the rest of a type's description is, after its head. */
static size_t length_of_rest(const struct btf_type *type)
{
	size_t n = BTF_INFO_VLEN(type->info);

	switch (BTF_INFO_KIND(type->info)) {
	case BTF_KIND_INT: return sizeof(__u32);
	case BTF_KIND_ARRAY: return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION: return n * sizeof(struct btf_member);
	case BTF_KIND_ENUM: return n * sizeof(struct btf_enum);
	case BTF_KIND_ENUM64: return n * sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO: return n * sizeof(struct btf_param);
	case BTF_KIND_VAR: return sizeof(struct btf_var);
	case BTF_KIND_DATASEC: return n * sizeof(struct btf_var_secinfo);
	case BTF_KIND_DECL_TAG: return sizeof(struct btf_decl_tag);
	default: return 0;
	}
}

/* Returns the number of a kernel function in the type information. */
static int id_of_function(const char *name)
{
	const struct btf_header *header;
	const struct btf_type *type;
	const char *at, *end, *names;
	struct stat stat;
	int id, fd = open("/sys/kernel/btf/vmlinux", O_RDONLY);

	if (fd < 0 || fstat(fd, &stat))
		err(1, "/sys/kernel/btf/vmlinux");
	header = mmap(NULL, stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (header == MAP_FAILED)
		err(1, "mmap of /sys/kernel/btf/vmlinux");

	at = (const char *)header + header->hdr_len + header->type_off;
	end = at + header->type_len;
	names = (const char *)header + header->hdr_len + header->str_off;
	for (id = 1; at < end; id++) {
		type = (const struct btf_type *)at;
		if (BTF_INFO_KIND(type->info) == BTF_KIND_FUNC &&
		    !strcmp(names + type->name_off, name))
			return id;
		at += sizeof(*type) + length_of_rest(type);
	}
	errx(1, "the kernel has no function %s", name);
}

int main(int argc, char **argv)
{
	static char log[16384];
	union bpf_attr attr;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc > 2 || (argc == 2 && strlen(argv[1]) != 8))
		errx(2, "usage: lsm_deny [BEGINNING], which has 8 characters");
	if (argc == 2) {
		memcpy(&program_for_beginning[FIRST_HALF].imm, argv[1], 4);
		memcpy(&program_for_beginning[SECOND_HALF].imm, argv[1] + 4, 4);
	}

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_LSM;
	attr.expected_attach_type = BPF_LSM_MAC;
	attr.attach_btf_id = id_of_function("bpf_lsm_kernel_module_request");
	if (argc == 2) {
		attr.insns = (uintptr_t)program_for_beginning;
		attr.insn_cnt = sizeof(program_for_beginning) / sizeof(program_for_beginning[0]);
	} else {
		attr.insns = (uintptr_t)program;
		attr.insn_cnt = sizeof(program) / sizeof(program[0]);
	}
	attr.license = (uintptr_t)"GPL";
	attr.log_buf = (uintptr_t)log;
	attr.log_size = sizeof(log);
	attr.log_level = 1;
	fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	if (fd < 0)
		err(1, "cannot load the program: %s", log);

	memset(&attr, 0, sizeof(attr));
	attr.raw_tracepoint.prog_fd = fd;
	if (syscall(SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &attr, sizeof(attr)) < 0)
		err(1, "cannot attach the program");

	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
