#!/bin/sh
# Called by cargo in the stead of rustc for our own crates. The C library goes into a program when it
# is linked: what the program is made of is the same with and without it, and is compiled once.
case " $* " in
*" --crate-name sentry "*" --crate-type bin "* | *" --crate-name sentry_collector "*" --crate-type bin "*)
    exec "$@" -Ctarget-feature=+crt-static
    ;;
esac
exec "$@"
