// SPDX-License-Identifier: GPL-2.0

//! The attributes of the kernel's `macros` crate that concurrency.rs uses.

use proc_macro::{
    Delimiter,
    Group,
    TokenStream,
    TokenTree, //
};

/// Leaves the structure as it is, without the `#[pin]` of its fields: nothing needs to be pinned.
#[proc_macro_attribute]
pub fn pin_data(_args: TokenStream, item: TokenStream) -> TokenStream {
    without_pin(item)
}

/// Leaves out the tests, which are for the kernel.
#[proc_macro_attribute]
pub fn kunit_tests(_args: TokenStream, _item: TokenStream) -> TokenStream {
    TokenStream::new()
}

fn without_pin(tokens: TokenStream) -> TokenStream {
    let mut result = Vec::new();
    let mut tokens = tokens.into_iter().peekable();

    while let Some(token) = tokens.next() {
        let is_hash = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '#');
        let is_pin = matches!(tokens.peek(), Some(TokenTree::Group(group))
            if group.delimiter() == Delimiter::Bracket && group.stream().to_string() == "pin");

        if is_hash && is_pin {
            tokens.next();
            continue;
        }
        result.push(match token {
            TokenTree::Group(group) => TokenTree::Group(Group::new(
                group.delimiter(),
                without_pin(group.stream()),
            )),
            other => other,
        });
    }
    result.into_iter().collect()
}
