// Package architecture holds no code, only tests of the project's shape: which
// way imports go, where a vendor's library may be used, that the pure rooms stay
// pure, and that every package says what it is for.
package architecture
