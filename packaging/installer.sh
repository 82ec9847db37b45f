#!/bin/sh
# Installs `fractary-codex` and its launcher `fractary` from the archives of a release, after their checksum was verified.
#
#   sh fractary-codex-installer.sh [--version VERSION] [--directory DIRECTORY] [--uninstall]
#
# The default directory is ~/.local/bin. If the directory's name is `bin`, man pages and completions are installed in `share`
# beside it, where `man` and the shells search for them. INSTALLER_DOWNLOAD_URL is the base URL of a mirror of the release's files.
# Exit status: 2 for wrong arguments, 3 if there is no archive for this system or it cannot be downloaded, 1 for other errors.
set -eu

# The release sets it.
version=
directory=${HOME-}/.local/bin
uninstall=false

# The braces make the shell read the whole script before it runs it, so an incomplete download does nothing.
{

# fail STATUS MESSAGE
fail() {
  echo "error: $2" >&2
  exit "$1"
}

while [ $# -gt 0 ]; do
  case $1 in
    --version | --directory)
      [ $# -ge 2 ] || fail 2 "$1 needs a value"
      if [ "$1" = --version ]; then version=${2#v}; else directory=$2; fi
      shift
      ;;
    --uninstall) uninstall=true ;;
    *) fail 2 "unknown argument $1; expected --version, --directory or --uninstall" ;;
  esac
  shift
done

# A relative directory would also be wrong in the hint for PATH.
case $directory in
  /.local/bin) fail 2 'HOME is not set: use --directory' ;;
  /*) ;;
  *) directory=$PWD/$directory ;;
esac

# The directory for man pages and completions; empty if there is none.
case $directory in
  */bin) share=${directory%bin}share ;;
  *) share= ;;
esac
bash=bash-completion/completions
zsh=zsh/site-functions
fish=fish/vendor_completions.d

if $uninstall; then
  set -- "$directory/fractary-codex" "$directory/fractary"
  if [ -n "$share" ]; then
    set -- "$@" "$share"/man/man1/fractary.1 "$share"/man/man1/fractary-codex.1 "$share"/man/man1/fractary-codex-*.1 \
      "$share/$bash/fractary-codex" "$share/$bash/fractary" "$share/$zsh/_fractary-codex" \
      "$share/$fish/fractary-codex.fish" "$share/$fish/fractary.fish"
  fi
  for file; do
    [ ! -e "$file" ] || rm "$file"
  done
  echo "removed fractary-codex and fractary from $directory"
  exit 0
fi

case $version in
  '') fail 2 'use --version to choose a version' ;;
  # It becomes part of a URL.
  *[!0-9A-Za-z.-]*) fail 2 "expected a version such as 0.1.0, found $version" ;;
esac

case $(uname -s)-$(uname -m) in
  Linux-x86_64) target=x86_64-unknown-linux-musl ;;
  Linux-aarch64 | Linux-arm64) target=aarch64-unknown-linux-musl ;;
  Darwin-x86_64) target=x86_64-apple-darwin ;;
  Darwin-arm64) target=aarch64-apple-darwin ;;
  *) fail 3 "no release is built for $(uname -s) on $(uname -m)" ;;
esac

# download FILE
download() {
  if command -v curl >/dev/null; then
    curl --silent --show-error --fail --location --retry 3 --connect-timeout 20 --output "$temporary/$1" "$url/$1"
  elif command -v wget >/dev/null; then
    wget -q -T 20 -O "$temporary/$1" "$url/$1"
  else
    fail 1 'curl or wget is needed'
  fi || fail 3 "$url/$1 cannot be downloaded"
}

if command -v sha256sum >/dev/null; then
  digest=sha256sum
elif command -v shasum >/dev/null; then
  digest='shasum -a 256'
else
  fail 1 'sha256sum or shasum is needed'
fi

url=${INSTALLER_DOWNLOAD_URL:-https://github.com/fractary/fractary-codex/releases/download/v$version}
name=fractary-codex-$target
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

download "$name.tar.gz"
download "$name.tar.gz.sha256"
expected=$(cut -d ' ' -f 1 "$temporary/$name.tar.gz.sha256")
found=$($digest < "$temporary/$name.tar.gz" | cut -d ' ' -f 1)
if [ -z "$found" ] || [ "$found" != "$expected" ]; then
  fail 1 "$url/$name.tar.gz is damaged: its SHA-256 digest is $found, but $name.tar.gz.sha256 has $expected"
fi

tar -xzf "$temporary/$name.tar.gz" -C "$temporary"
reported=$("$temporary/$name/fractary-codex" --version)
[ "$reported" = "fractary-codex $version" ] ||
  fail 1 "$url/$name.tar.gz contains $reported instead of version $version"

mkdir -p "$directory"
for program in fractary-codex fractary; do
  # A program that is running cannot be written, but it can be replaced.
  cp "$temporary/$name/$program" "$directory/.$program.new"
  chmod 755 "$directory/.$program.new"
  mv "$directory/.$program.new" "$directory/$program"
done
if [ -n "$share" ]; then
  mkdir -p "$share/man/man1" "$share/$bash" "$share/$zsh" "$share/$fish"
  cp "$temporary/$name"/man/*.1 "$share/man/man1/"
  cp "$temporary/$name/completions/_fractary-codex" "$share/$zsh/"
  for program in fractary-codex fractary; do
    cp "$temporary/$name/completions/$program.bash" "$share/$bash/$program"
    cp "$temporary/$name/completions/$program.fish" "$share/$fish/"
  done
fi
echo "installed fractary-codex $version and fractary in $directory (SHA-256 of the archive: $found)"
case :$PATH: in
  *:"$directory":*) ;;
  *) echo "hint: add $directory to PATH" ;;
esac

}
