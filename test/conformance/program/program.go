//go:build tools

// Package program pins the OCI conformance program, which is a test package and so has no command to build.
package program

import _ "github.com/opencontainers/distribution-spec/conformance"
