// SPDX-License-Identifier: GPL-2.0
/*
 * The parameters of the module that are texts, for text_parameters.rs.
 *
 * Why this is C: `module!` of the `kernel` crate has no texts, and what it takes
 * to have a parameter is in macros. (The kernel's own charp has at most 1024
 * bytes.)
 */
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "kmod_rs.h"

/* Called before the init of the module. As with numbers, a parameter must not be given twice. */
static int kmod_rs_text_set(const char *text, const struct kernel_param *parameter)
{
	char **place = parameter->arg;

	if (*place)
		return -EINVAL;
	*place = kstrdup(text, GFP_KERNEL);
	return *place ? 0 : -ENOMEM;
}

/* Called when the load has failed, or after the exit of the module. */
static void kmod_rs_text_free(void *arg)
{
	char **place = arg;

	kfree(*place);
	*place = NULL;
}

static const struct kernel_param_ops kmod_rs_text_ops = {
	.set = kmod_rs_text_set,
	.free = kmod_rs_text_free,
};

/* A parameter; without a file in /sys/module, as it counts when the module is loaded only. */
#define KMOD_RS_TEXT(name, description)							\
	static char *name;								\
	module_param_cb(name, &kmod_rs_text_ops, &name, 0);				\
	__MODULE_PARM_TYPE(name, "charp");						\
	MODULE_PARM_DESC(name, description)

KMOD_RS_TEXT(autoload_allow, "Names that anybody may have loaded, as in the knob of that name");
KMOD_RS_TEXT(autoload_deny, "Names that may not be loaded, as in the knob of that name");

/*
 * Each of these returns the text that was given as the parameter of its name, or
 * NULL. It does not change from the init of the module until after its exit.
 */

const char *kmod_rs_autoload_allow(void)
{
	return autoload_allow;
}

const char *kmod_rs_autoload_deny(void)
{
	return autoload_deny;
}
