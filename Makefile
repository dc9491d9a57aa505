# SPDX-License-Identifier: GPL-2.0
#
# The targets for those who use or test the module; "make help" lists them. How
# the module is built is in Kbuild.

SHELL := /bin/bash
MODULE := kmod-rs.ko
RELEASE ?= $(shell uname -r)
DESTDIR ?=
FOLDERS := $(sort $(dir $(wildcard */*.rs)))
INSTALL_DIR := $(DESTDIR)/lib/modules/$(RELEASE)/updates
# For the command.
PREFIX ?= /usr/local
SHARE := $(DESTDIR)$(PREFIX)/share
ZSH_COMPLETIONS ?= zsh/site-functions
COMPLETIONS := $(SHARE)/bash-completion/completions/kmod-rs $(SHARE)/$(ZSH_COMPLETIONS)/_kmod-rs \
	$(SHARE)/fish/vendor_completions.d/kmod-rs.fish

export KDIR KERNEL T DEBUG GUESTS ROUNDS SOAK_MINUTES FUZZ_MINUTES COMMAND_MINUTES SEED BOOTS BUSY

.PHONY: module
module:
	@scripts/build.sh

.PHONY: command
command:
	@scripts/command.sh

.PHONY: deb
deb:
	@scripts/deb.sh

.PHONY: help
help:
	@echo 'With a stock Debian kernel in QEMU (what is missing is set up first):'
	@echo '  demo        show the module at work'
	@echo '  test        run all tests, or with T="NAME..." only these'
	@echo '  test-full   run all tests, with the full counts of the kernel'"'"'s own kmod.sh, boot a whole'
	@echo '              Debian, and run the tests on a debugging kernel with PREEMPT_RT too'
	@echo '  test-kernels  run the tests that depend on the kernel, on each kernel that KERNEL= can'
	@echo '              name; takes up to 90 minutes and 12 GB'
	@echo '  soak        run a random mixture of everything on a debugging kernel:'
	@echo '              SOAK_MINUTES=30 SEED=N'
	@echo '  fuzz        try random input on the command for COMMAND_MINUTES=10, then random lists and'
	@echo '              names on the firewall, on a debugging kernel: FUZZ_MINUTES=60 SEED=N'
	@echo '  boots       boot many times on a busy machine, and compare the clocks: BOOTS=100 BUSY=4'
	@echo '  bench       compare the module with the C code, in a table; ROUNDS=5 is how often'
	@echo '  repeats     count the helpers that only find what an earlier one has found, in a table'
	@echo '  pictures    boot a whole Debian with the module, and make pictures of that boot and of'
	@echo '              "kmod-rs top" in out/pictures/'
	@echo '  shell       open a shell in a guest in which the module is loaded'
	@echo '  prepare     only set up what is needed: Debian'"'"'s tools, kernel, Rust metadata, guest'
	@echo '    DEBUG=no    run no tests on the debugging kernels'
	@echo '    DEBUG=only  run tests only on the debugging kernels'
	@echo '    DEBUG=rt    run tests only on the debugging kernel with PREEMPT_RT'
	@echo '    KERNEL=7.3, KERNEL=7.2  use this kernel, from trixie-backports'
	@echo '    KERNEL=forky            use the kernel of Debian testing'
	@echo '    KERNEL=7.3-rt, ...      with -rt or -cloud, use this flavour of the kernel'
	@echo '    REFRESH=1   look for a newer kernel'
	@echo
	@echo 'For the kernel that runs here, or the one that KERNEL= or KDIR= names:'
	@echo '  module      build $(MODULE) (the default)'
	@echo '  command     build out/kmod-rs, the command that shows and controls the module'
	@echo '  deb         make Debian packages of both in out/deb/, which apt can install from; KERNEL= can'
	@echo '              name several kernels'
	@echo '  sign        sign it for Secure Boot: KEY=key.pem CERT=cert.pem'
	@echo '  install     copy it to $(INSTALL_DIR), where modprobe finds it,'
	@echo '              and the command, its pages and completions below $(PREFIX), if it is built'
	@echo '  uninstall   remove both from there'
	@echo '  give-back   give request_module() back to the kernel, and unload'
	@echo '  clean       remove what was built here'

.PHONY: prepare
prepare:
	@scripts/setup/prepare.sh

.PHONY: demo
demo:
	@scripts/demo/demo.sh

.PHONY: test test-kernels boots
test test-kernels boots:
	@scripts/test/$@.sh

.PHONY: test-full
test-full:
	@scripts/test/test.sh --full

.PHONY: bench
bench:
	@scripts/bench/bench.sh

.PHONY: repeats
repeats:
	@scripts/repeats/repeats.sh

.PHONY: pictures
pictures:
	@scripts/pictures/pictures.sh

.PHONY: shell
shell:
	@scripts/guest/shell.sh

# Not a part of "make test".
.PHONY: soak fuzz
soak fuzz:
	@scripts/test/long.sh $@

# After post-link, never before: what is signed is the file as it is loaded.
.PHONY: sign
sign:
	@scripts/sign.sh $(MODULE) "$(KEY)" "$(CERT)"

# Not by modules_install: it may strip the module, and the livepatch relocations
# do not survive that.
.PHONY: install
install: $(if $(wildcard out/completions),install-command)
	@test -f $(MODULE) || { echo 'kmod_rs: $(MODULE) is not built yet: run "make" first' >&2; exit 1; }
	install -D -m 644 $(MODULE) '$(INSTALL_DIR)/$(MODULE)'
	depmod $(if $(DESTDIR),-b '$(DESTDIR)') $(RELEASE)

.PHONY: install-command
install-command:
	install -D -m 755 out/kmod-rs '$(DESTDIR)$(PREFIX)/bin/kmod-rs'
	install -D -m 644 out/man/kmod-rs.8 '$(SHARE)/man/man8/kmod-rs.8'
	install -D -m 644 out/man/kmod_rs.4 '$(SHARE)/man/man4/kmod_rs.4'
	install -D -m 644 out/completions/kmod-rs.bash '$(word 1,$(COMPLETIONS))'
	install -D -m 644 out/completions/_kmod-rs '$(word 2,$(COMPLETIONS))'
	install -D -m 644 out/completions/kmod-rs.fish '$(word 3,$(COMPLETIONS))'

.PHONY: uninstall
uninstall:
	rm -f '$(INSTALL_DIR)/$(MODULE)' '$(DESTDIR)$(PREFIX)/bin/kmod-rs' \
		'$(SHARE)/man/man8/kmod-rs.8' '$(SHARE)/man/man4/kmod_rs.4' $(COMPLETIONS:%='%')
	depmod $(if $(DESTDIR),-b '$(DESTDIR)') $(RELEASE)

out/kmod-rs:
	@scripts/command.sh --program

.PHONY: give-back
give-back: out/kmod-rs
	@out/kmod-rs off

.PHONY: clean
clean:
	rm -f *.ko *.mod *.mod.c modules.order Module.symvers
	rm -f $(foreach folder,./ $(FOLDERS),$(addprefix $(folder),*.o .*.o .*.cmd *.inc))
	rm -rf out
