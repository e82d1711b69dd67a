// Package reader holds the tests of docs/reader, the program in JavaScript that reads a
// repository by docs/format.md alone: it must read what the real code stores, today's and
// the golden repositories', byte for byte, and find what is damaged. It holds no other code.
package reader
