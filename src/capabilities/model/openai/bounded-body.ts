/**
 * A response that cannot fill the memory. The client holds an event until it has come to its end, and the page that comes with a
 * refusal as a whole: either is cut at its bound, and the rest is not fetched. A stream of many small events has no bound here.
 */

/** Of one event, or of a refusal. An answer that may be kept (reply.ts) fits into one event, however it is escaped. */
export const PART_BYTES_MAX = 4_000_000;

const [LF, CR] = [10, 13];

/** The same response; reading its body throws what `tooLarge` gives once a part of it passes the bound. */
export const withBoundedBody = (response: Response, tooLarge: () => Error): Response => {
  if (!response.body) return response;
  const partOf = response.ok ? eventBytes() : allBytes();
  const bound = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      if (partOf(chunk) > PART_BYTES_MAX) controller.error(tooLarge());
      else controller.enqueue(chunk);
    },
  });
  return new Response(response.body.pipeThrough(bound), response);
};

/** How much has come of a body. */
const allBytes = (): ((chunk: Uint8Array) => number) => {
  let bytes = 0;
  return (chunk) => (bytes += chunk.length);
};

/** How much has come of the event that has not ended yet: an empty line ends one. */
const eventBytes = (): ((chunk: Uint8Array) => number) => {
  let [inEvent, inLine, before] = [0, 0, 0];
  return (chunk) => {
    for (const byte of chunk) {
      if (byte !== LF && byte !== CR) {
        inLine++;
        inEvent++;
      } else if (byte === CR || before !== CR) {
        // A line feed behind a carriage return ends no line of its own.
        if (inLine === 0) inEvent = 0;
        inLine = 0;
      }
      before = byte;
    }
    return inEvent;
  };
};
