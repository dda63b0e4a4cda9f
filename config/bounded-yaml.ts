/** Documents of a YAML text, as far as one may go: the library builds all of a text before anybody can count what is in it. */
import { Composer, type Document, Lexer, Parser } from 'yaml'
import type * as Yaml from 'yaml'
import { limits } from './limits.ts'

/** Where a text asks for more than it may. */
export class Unbounded extends Error {
  override name = 'Unbounded'
  /** Offset in the text. */
  readonly at: number

  constructor(message: string, at: number) {
    super(message)
    this.at = at
  }
}

type Options = ConstructorParameters<typeof Composer>[0]

/**
 * The documents of a text.
 * @throws Unbounded where it nests too deep, or has more marks and words than all its values can need
 */
export function documentsOf(text: string, options: Options): Document.Parsed[] {
  return [...new Composer(options).compose(tokensOf(text))] as Document.Parsed[]
}

function* tokensOf(text: string): Generator<Yaml.CST.Token, void> {
  const parser = new Parser()
  let lexemes = 0
  for (const lexeme of new Lexer().lex(text)) {
    yield* parser.next(lexeme)
    // One for the document, and one for what a pair of a list or map begins with.
    if (parser.stack.length > limits.depth + 2)
      throw new Unbounded(`more than ${limits.depth} sections are in one another here`, parser.offset)
    if (++lexemes > limits.lexemes)
      throw new Unbounded(`there are more than ${limits.lexemes} words and marks here`, parser.offset)
  }
  yield* parser.end()
}
