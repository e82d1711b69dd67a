// Package e2e holds the end-to-end tests: both programs, the laboratory and a
// repository as processes, driven by commands and by the vSphere API, and killed
// at the worst moments. The repository is encrypted, unless a test says else. It holds no
// other code.
package e2e
