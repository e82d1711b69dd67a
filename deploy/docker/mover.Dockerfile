# ivd-mover needs glibc and, to do anything, VDDK. BASE is any Debian image;
# deploy/docker/images.sh makes one with debootstrap where none can be pulled.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
COPY ivd-mover /usr/local/bin/ivd-mover
# The laboratory's libvixDiskLib. For a real vCenter mount VMware's instead.
COPY vddk-lab /usr/lib/vmware-vix-disklib
ENTRYPOINT ["/usr/local/bin/ivd-mover"]
