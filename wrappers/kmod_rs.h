/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the C side and the Rust side of the module call of each other. The
 * comment behind each line names the file on the other side of it.
 */
#ifndef KMOD_RS_H
#define KMOD_RS_H

#include <linux/types.h>

#define KMOD_RS_NAME_LEN 56				/* name.rs: NAME_LEN */
#define KMOD_RS_ALGORITHM_LEN 128			/* crypto.rs: ALGORITHM_LEN */

struct crypto_larval;
struct file;
struct inode;
struct module;
struct notifier_block;
struct tracepoint;

typedef void kmod_rs_use_probe(void *data, struct module *module, unsigned long ip);

/* Rust, called from C. */
int kmod_rs_handle_request(const char *name, int len, bool wait,
			   unsigned long call_site);	/* livepatch/handler.rs */
void kmod_rs_handle_unpatch(void);			/* livepatch/handler.rs */

/* C, called from Rust. */
int kmod_rs_livepatch_enable(void);			/* livepatch.rs */
bool kmod_rs_livepatch_active(void);			/* livepatch.rs */
int kmod_rs_trace_init(void);				/* trace.rs */
void kmod_rs_trace_module_request(char *name, bool wait,
				  unsigned long call_site); /* trace.rs */
bool kmod_rs_events_enabled(void);			/* events.rs */
void kmod_rs_events_begin(u64 seq, const char *name, bool wait, const char *comm, u32 uid,
			  s64 loginuid, const char *userns, int nspid, const char *cgroup,
			  const char *call_site, const char *chain); /* events.rs */
void kmod_rs_events_end(u64 seq, const char *name, const char *outcome, int result, int helper,
			s64 queue_us, s64 helper_us, const char *path); /* events.rs */
void kmod_rs_events_denied(u64 seq, const char *name, int result,
			   const char *rule);		/* events.rs */
void kmod_rs_events_loop(u64 seq, const char *name, const char *chain); /* events.rs */
void kmod_rs_events_timeout(u64 seq, const char *name, s64 queue_us); /* events.rs */
void kmod_rs_events_module_loaded(u64 seq, const char *name, const char *module); /* events.rs */
void kmod_rs_events_module_denied(u64 seq, const char *name, const char *module,
				  const char *rule);	/* events.rs */
u32 kmod_rs_requester_loginuid(void);			/* requester.rs */
bool kmod_rs_requester_is_in_init_userns(void);		/* requester.rs */
bool kmod_rs_requester_acts_as(u32 *uid, bool *is_in_init_userns); /* requester.rs */
bool kmod_rs_requester_is_in_init_pidns(void);		/* requester.rs */
bool kmod_rs_requester_is_elevated(void);		/* requester.rs */
int kmod_rs_requester_nspid(void);			/* requester.rs */
u64 kmod_rs_requester_account(void);			/* requester.rs */
bool kmod_rs_requester_whole_cgroup(char *buffer, size_t size); /* requester.rs */
void kmod_rs_requester_cgroup(char *buffer, size_t size); /* requester.rs */
const char *kmod_rs_autoload_allow(void);		/* text_parameters.rs */
const char *kmod_rs_autoload_deny(void);		/* text_parameters.rs */
void kmod_rs_symbol(char *buffer, size_t size,
		    unsigned long address);		/* requester.rs, stack_trace.rs */
struct crypto_larval *kmod_rs_larval(unsigned long event, void *data); /* crypto.rs */
const char *kmod_rs_larval_name(const struct crypto_larval *larval); /* crypto.rs */
void kmod_rs_larval_set(struct crypto_larval *larval, u32 verdict, bool hide); /* crypto.rs */
bool kmod_rs_crypto_is_maker(void);			/* crypto.rs */
u32 kmod_rs_crypto_made(char *name, size_t size);	/* crypto.rs */
void kmod_rs_crypto_disown(void);			/* crypto.rs */
int kmod_rs_crypto_register(struct notifier_block *block); /* crypto.rs */
int kmod_rs_crypto_unregister(struct notifier_block *block); /* crypto.rs */
void *kmod_rs_proc_create(const char *directory, const char *name,
			  int (*open)(struct inode *, struct file *),
			  ssize_t (*read)(struct file *, char __user *, size_t, loff_t *),
			  ssize_t (*write)(struct file *, const char __user *, size_t, loff_t *),
			  int (*release)(struct inode *, struct file *),
			  void *data);			/* proc_file.rs */
void kmod_rs_proc_remove(void *created);		/* proc_file.rs */
int kmod_rs_module_use_attach(kmod_rs_use_probe *got, kmod_rs_use_probe *put,
			      void *data);		/* module_use.rs */
void kmod_rs_module_use_detach(kmod_rs_use_probe *got, kmod_rs_use_probe *put,
			       void *data);		/* module_use.rs */
void *kmod_rs_watch_set(const char *program);		/* watch.rs */
void kmod_rs_watch_end(void *data);			/* watch.rs */
int kmod_rs_watch_changed(const void *data);		/* watch.rs */
void kmod_rs_watch_change(void *data, int why);		/* watch.rs */
bool kmod_rs_watch_has_root(const void *data);		/* watch.rs */

/* C, called from C. */
struct tracepoint *kmod_rs_find_tracepoint(const char *name); /* trace.c */

/* Assembler (ksyms.S), called from Rust: private symbols of the kernel. */
int kmod_rs_security_kernel_module_request(char *name);	/* security.rs */
bool kmod_rs_has_capability_noaudit(void *task, int capability); /* requester.rs */
void kmod_rs_walk_process_tree(void *top, int (*visitor)(void *task, void *data),
			       void *data);		/* process_tree.rs */
extern char *const kmod_rs_modprobe_path;		/* modprobe_path.rs */
extern struct list_head *const kmod_rs_modules;		/* module_list.rs */
extern void *const kmod_rs_cryptomgr_probe;		/* crypto.c */

#endif /* KMOD_RS_H */
