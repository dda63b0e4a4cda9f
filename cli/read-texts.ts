/** What a configuration was read from. */

/** Characters of texts beyond which they are not kept. */
const mostKept = 1 << 20

/** Texts that one configuration was read from, by the path of each. */
export class ReadTexts {
  readonly #texts = new Map<string, string>()
  #characters = 0

  /** A file was read. */
  note(path: string, text: string): void {
    this.#characters += text.length - (this.#texts.get(path)?.length ?? 0)
    this.#texts.set(path, text)
    if (!this.isTooLarge) return
    for (const known of this.#texts.keys()) this.#texts.set(known, '')
  }

  /** Whether there was more than is kept. */
  get isTooLarge(): boolean {
    return this.#characters > mostKept
  }

  /** Every file that was read, also where the texts are not kept. */
  get paths(): Iterable<string> {
    return this.#texts.keys()
  }

  get texts(): ReadonlyMap<string, string> {
    return this.#texts
  }
}
