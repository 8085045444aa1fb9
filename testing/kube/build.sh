#!/bin/bash
# Builds kube-apiserver + kube-controller-manager (Kubernetes 1.20.2 + small backports, see backport.py)
# and unpacks etcd, from Debian packages only. Nothing is installed, nothing under /etc is touched;
# needs: apt, dpkg, python3, xz, and no root. Cached: does nothing when OUT already has this recipe's result.
#   build.sh OUT        the programs come into OUT/bin
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
OUT=$1
WORK=${KCP_WORK:-$OUT/work}
VERSION=v1.20.2-bp1
SUM=$(cat "$HERE/build.sh" "$HERE/backport.py" "$HERE/generate.sh" | sha256sum | cut -c1-16)
BIN=$OUT/bin
if [ "$(cat "$BIN/.recipe" 2>/dev/null || true)" = "$SUM" ]; then echo "cached: $BIN"; exit 0; fi
mkdir -p "$BIN" "$WORK"; OUT=$(cd "$OUT" && pwd); BIN=$OUT/bin; WORK=$(cd "$WORK" && pwd); cd "$WORK"
exec 9>"$OUT/.lock"; flock 9
if [ "$(cat "$BIN/.recipe" 2>/dev/null || true)" = "$SUM" ]; then echo "cached: $BIN"; exit 0; fi
say() { echo "[$(date +%T)] $*"; }

# --- 1. an apt of our own: same mirror and key as this machine's, plus deb-src and trixie, own lists
MIRROR=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1)
[ -n "$MIRROR" ] || MIRROR=$(awk '$1=="deb"{for(i=2;i<=NF;i++)if($i ~ /^http/){print $i; exit}}' /etc/apt/sources.list)
mkdir -p apt/lists/partial apt/cache/archives/partial apt/prefs debs
cat > apt/debian.sources <<S
Types: deb deb-src
URIs: $MIRROR
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: $MIRROR
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
S
cat > apt/apt.conf <<S
Dir::Etc::sourcelist "$WORK/apt/debian.sources";
Dir::Etc::sourceparts "-";
Dir::Etc::preferencesparts "$WORK/apt/prefs";
Dir::State::lists "$WORK/apt/lists";
Dir::Cache "$WORK/apt/cache";
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::CNF::DefaultEnabled "false";
Acquire::Retries "3";
S
export APT_CONFIG=$WORK/apt/apt.conf
say "apt indexes"; apt-get update -qq
say "packages"
( cd debs && apt-get download -qq golang-1.19-go/bookworm golang-1.19-src/bookworm etcd-server/bookworm \
    golang-github-modern-go-reflect2-dev/bookworm golang-k8s-api-dev/trixie
  apt-get source -qq --download-only kubernetes/bookworm )   # apt checks the signed hashes of all of these
rm -rf root k8s gopath; mkdir -p root k8s gopath/src/k8s.io
for d in debs/*.deb; do dpkg -x "$d" root; done
tar xzf debs/kubernetes_1.20.5+really1.20.2.orig.tar.gz -C k8s --strip-components=1
ln -s "$WORK/k8s" gopath/src/k8s.io/kubernetes

# --- 2. Go 1.19 of bookworm, GOPATH mode (the tree's go.mod is refused by Go >= 1.16 with -mod=vendor)
export GOROOT=$WORK/root/usr/lib/go-1.19 GOPATH=$WORK/gopath GOCACHE=$WORK/gocache GO111MODULE=off \
       GOPROXY=off GOFLAGS= CGO_ENABLED=0
export PATH=$GOROOT/bin:$PATH
cd "$GOPATH/src/k8s.io/kubernetes"

# --- 3. reflect2 1.0.1 (vendored) crashes in map iteration when built with Go >= 1.18: take Debian's 1.0.2
rm vendor/github.com/modern-go/reflect2/*.go
cp "$WORK"/root/usr/share/gocode/src/github.com/modern-go/reflect2/*.go vendor/github.com/modern-go/reflect2/

# --- 4. backports, then the tree's own generators (the release tarball also lacks the openapi file: always needed)
python3 "$HERE/backport.py" "$WORK/k8s" "$WORK/root/usr/share/gocode/src/k8s.io/api"
say "generators"; GENBIN=$WORK/gen bash "$HERE/generate.sh" > "$WORK/generate.log" 2>&1 || { tail -20 "$WORK/generate.log"; exit 1; }
test -s pkg/generated/openapi/zz_generated.openapi.go

# --- 5. compile
X=""
for p in k8s.io/component-base/version k8s.io/client-go/pkg/version; do p=k8s.io/kubernetes/vendor/$p
  X="$X -X $p.gitVersion=$VERSION -X $p.gitMajor=1 -X $p.gitMinor=20 -X $p.gitTreeState=archive -X $p.buildDate=1970-01-01T00:00:00Z"; done
say "go build (about 4 CPU minutes)"
go build -trimpath -tags providerless -ldflags "-s -w $X" -o "$BIN/" ./cmd/kube-apiserver ./cmd/kube-controller-manager
cp "$WORK/root/usr/bin/etcd" "$BIN/"
cd /; if [ -z "${KCP_KEEP:-}" ] && [ "$WORK" = "$OUT/work" ]; then chmod -R u+w "$WORK"; rm -rf "$WORK"; fi   # 1.9 GB
echo "$SUM" > "$BIN/.recipe"; say "done: $BIN"; ls -l "$BIN"
