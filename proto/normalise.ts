/** Merging of singular messages that stand more than once, which protobuf allows ("Last One Wins", messages are merged). */

/** Thrown by a reader that met a singular message twice; `normalise` makes the message one that has it once. */
export class WrittenTwice extends Error {
  override name = 'WrittenTwice'
}

/** To be written from proto/schema.ts. */
export function normalise(_message: string, body: Buffer): Buffer {
  return body
}
