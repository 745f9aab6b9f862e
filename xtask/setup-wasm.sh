#!/usr/bin/env bash
# Makes a rustc that can compile for wasm32-unknown-unknown where `rustup target add` cannot fetch the
# target: on Debian 12 (amd64, as root), from Debian's own packages.
#
# Debian's `rustc-web` is a recent compiler, `rust-web-src` its standard library as source. The compiler is
# unpacked into one folder and std is compiled for wasm32 there, once: about two minutes of CPU and 330 MB.
# Nothing is put into /usr but libllvm, lld and patchelf. Run again, it does nothing.
#
#     bash xtask/setup-wasm.sh DIR
#     RUSTC=DIR/bin/rustc cargo build --release --target wasm32-unknown-unknown
set -euo pipefail

prefix=${1:?usage: setup-wasm.sh DIR}
target=wasm32-unknown-unknown
host=x86_64-unknown-linux-gnu

say() { printf 'setup-wasm: %s\n' "$*" >&2; }
stop() { say "$*"; exit 1; }

if [ -f "$prefix/.complete" ] && "$prefix/bin/rustc" -V >/dev/null 2>&1; then
    say "$(cat "$prefix/.complete") is already in $prefix"
    exit 0
fi

[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] && [ "$(id -u)" = 0 ] ||
    stop "this needs Debian on amd64 and root; elsewhere run 'rustup target add $target'"

export DEBIAN_FRONTEND=noninteractive
get() { apt-get -o DPkg::Lock::Timeout=300 "$@" >&2; }
candidate() { apt-cache policy "$1" 2>/dev/null | awk '/Candidate:/ && $2 != "(none)" { print $2 }'; }

[ -n "$(candidate rustc-web)" ] && [ -n "$(candidate rust-web-src)" ] || get update -qq
version=$(candidate rustc-web)           # 1.96.0+dfsg1-1~deb12u2
[ -n "$version" ] || stop "the package lists have no rustc-web"
release=${version%%+*}                   # 1.96.0
std=libstd-rust-web-${release%.*}        # libstd-rust-web-1.96
llvm=$(apt-cache show "$std=$version" | grep -oE 'libllvm[0-9]+' | head -1 | tr -dc 0-9)
[ -n "$llvm" ] || stop "$std $version names no libllvm"

say "building std of rustc $version for $target in $prefix"
get install -qq -y --no-install-recommends "libllvm$llvm" "lld-$llvm" patchelf gcc libc6-dev

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work" # apt downloads as a user of its own
(cd "$work" && get download -qq \
    "rustc-web=$version" "libstd-rust-web-dev=$version" "$std=$version" "rust-web-src=$version")

# The compiler, with its libraries beside it.
rm -rf "$prefix"
mkdir -p "$prefix/lib" "$work/root" "$work/src"
for package in rustc-web libstd-rust-web-dev "$std"; do dpkg-deb -x "$work/$package"_*.deb "$work/root"; done
cp -a "$work/root/usr/bin" "$prefix/bin"
mv "$work/root/usr/lib/rustlib" "$prefix/lib/rustlib"
mv "$work/root/usr/lib/x86_64-linux-gnu/"*.so* "$prefix/lib/"
for program in rustc rustdoc; do patchelf --set-rpath '$ORIGIN/../lib' "$prefix/bin/$program"; done
mkdir -p "$prefix/lib/rustlib/$host/bin"
ln -sfn "/usr/lib/llvm-$llvm/bin/lld" "$prefix/lib/rustlib/$host/bin/rust-lld"

# std and what comes with it; the crates it uses are pinned by the lock file in its source. Compiled outside
# the project, so that neither its settings nor the caller's apply.
dpkg-deb --fsys-tarfile "$work"/rust-web-src_*.deb |
    tar -x -C "$work/src" --strip-components=5 --wildcards './usr/src/rustc-*/library/*'
(
    cd "$work/src/sysroot"
    unset RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS \
        CARGO_BUILD_TARGET CARGO_INCREMENTAL LD_LIBRARY_PATH
    RUSTC_BOOTSTRAP=1 RUSTC="$prefix/bin/rustc" CARGO_TARGET_DIR="$work/target" \
        __CARGO_DEFAULT_LIB_METADATA=web RUSTFLAGS='-Zforce-unstable-if-unmarked -Cembed-bitcode=yes' \
        cargo build --quiet --locked --release --target "$target" >&2
)
mkdir -p "$prefix/lib/rustlib/$target/lib"
cp "$work/target/$target/release/deps/"*.rlib "$prefix/lib/rustlib/$target/lib/"
rm -f "$prefix/lib/rustlib/$target/lib/"libsysroot-*.rlib

# It counts as done once a program links.
echo 'fn main() { println!("{}", (0..10).sum::<i32>()); }' >"$work/t.rs"
"$prefix/bin/rustc" --target "$target" -O -o "$work/t.wasm" "$work/t.rs"
[ "$(head -c4 "$work/t.wasm" | od -An -tx1 | tr -d ' \n')" = 0061736d ] || stop "the linker wrote no wasm"
echo "rustc $version" >"$prefix/.complete"
say "done: $(du -sh "$prefix" | cut -f1) in $prefix"
