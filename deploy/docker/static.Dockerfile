# One static program in an otherwise empty image.
FROM scratch
ARG PROGRAM
COPY ${PROGRAM} /program
ENTRYPOINT ["/program"]
