/** What a configuration may take, so that no text, however it came, keeps a process busy or fills its memory. */
export const limits = {
  /** Files, `--config` and `--set`. */
  sources: 100,
  /** Characters of one source. */
  source: 4 * 1024 * 1024,
  /** Characters of all of them. */
  sourcesTogether: 16 * 1024 * 1024,
  /** Sections in sections. */
  depth: 100,
  /** Values, those counted that aliases and references stand for. */
  values: 25_000,
  /** Words and marks of one text, white space and comments among them: ten for each value. */
  lexemes: 250_000,
  /** Values that the aliases of one document stand for: a few lines can stand for billions. */
  unfolded: 20_000,
  /** Characters that one variable or file brings. */
  reference: 1024 * 1024,
  /** Characters that all references bring. */
  referencesTogether: 16 * 1024 * 1024,
  /** References in one value; the Collector's bound. */
  referencesOfValue: 1000,
  /** Errors, and warnings, that are told; of the others how many there are. */
  told: 100,
} as const

/** More is to be read than may be at once. */
export class TooMuch extends Error {
  override name = 'TooMuch'
}
