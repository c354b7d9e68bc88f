# Builds the five programs of Kubernetes from Debian's source package, which has all that they need.
# $1: where to work and to put the programs below `bin`. An hour of one processor.
set -eux
cd "$1"
mkdir -p src bin gopath/src/k8s.io
if [ ! -d gopath/src/k8s.io/kubernetes ]; then
    (cd src && apt-get source kubernetes)
    mv src/kubernetes-*/ gopath/src/k8s.io/kubernetes
fi
export GO111MODULE=off GOFLAGS= CGO_ENABLED=0 GOPATH="$PWD/gopath" GOCACHE="$PWD/gocache"
bin="$PWD/bin"
kubernetes=k8s.io/kubernetes
vendor=$kubernetes/vendor/k8s.io
cd gopath/src/$kubernetes

# The package leaves out this generated file, which the API server cannot be compiled without.
if [ ! -f pkg/generated/openapi/zz_generated.openapi.go ]; then
    go build -o "$bin/openapi-gen" $vendor/kube-openapi/cmd/openapi-gen
    packages=$(grep -rl --include='*.go' '+k8s:openapi-gen=' staging/src/k8s.io pkg cmd vendor/k8s.io |
        grep -v _test.go | grep -vE 'testdata|kube-openapi|sample-apiserver|code-generator' |
        xargs -n1 dirname | sort -u |
        sed "s#^staging/src/#$kubernetes/vendor/#; s#^\(vendor\|pkg\|cmd\)/#$kubernetes/\1/#" |
        sort -u | paste -sd,)
    "$bin/openapi-gen" -i "$packages" -p $kubernetes/pkg/generated/openapi \
        -O zz_generated.openapi --go-header-file hack/boilerplate/boilerplate.generatego.txt \
        -r "$bin/../violations.txt" --output-base "$GOPATH/src"
fi

version=v1.20.2
flags="-s -w -X $vendor/component-base/version.gitVersion=$version"
flags="$flags -X $vendor/component-base/version.gitMajor=1 -X $vendor/component-base/version.gitMinor=20"
flags="$flags -X $vendor/client-go/pkg/version.gitVersion=$version"
for program in kube-apiserver kubelet kube-controller-manager kube-scheduler kubectl; do
    [ -x "$bin/$program" ] || nice -n 19 go build -p 2 -ldflags "$flags" -o "$bin/$program.new" $kubernetes/cmd/$program
    [ -x "$bin/$program" ] || mv "$bin/$program.new" "$bin/$program"
done
