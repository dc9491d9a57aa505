/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the C and the Rust side of the module call of one another. The Rust
 * declarations stand in the wrapper that uses them, named behind each line.
 */
#ifndef KMOD_RS_H
#define KMOD_RS_H

#include <linux/types.h>

#define KMOD_RS_NAME_LEN 56				/* name.rs: NAME_LEN */

/* Rust, called from C. */
int kmod_rs_handle_request(const char *name, int len, bool wait,
			   unsigned long call_site);	/* livepatch.rs */

/* C, called from Rust. */
int kmod_rs_livepatch_enable(void);			/* livepatch.rs */
bool kmod_rs_livepatch_active(void);			/* livepatch.rs */
int kmod_rs_trace_init(void);				/* trace.rs */
void kmod_rs_trace_module_request(char *name, bool wait,
				  unsigned long call_site); /* trace.rs */
bool kmod_rs_log_allowed(void);				/* log.rs */

/* Assembler, called from Rust: private symbols of the kernel. */
int kmod_rs_security_kernel_module_request(char *name);	/* security.rs */
extern char *const kmod_rs_modprobe_path;		/* sysctl.rs */

#endif /* KMOD_RS_H */
