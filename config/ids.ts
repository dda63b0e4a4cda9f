/** Ids of components and pipelines: `type` or `type/name`. */

const typeForm = /^[a-zA-Z][0-9a-zA-Z_]{0,62}$/
/** No white space, control or symbol characters. */
const nameForm = /^[^\p{Z}\p{C}\p{S}]+$/u

/** An id in its two halves. */
export interface Id {
  /** Without the blanks that were around its halves. */
  readonly text: string
  readonly type: string
  readonly name: string | undefined
}

/** The id, or what is wrong with it. */
export function parseId(text: string): Id | string {
  const slash = text.indexOf('/')
  const type = (slash < 0 ? text : text.slice(0, slash)).trim()
  const name = slash < 0 ? undefined : text.slice(slash + 1).trim()
  if (text.trim() === '') return 'the id is empty'
  if (type === '') return `in the id \`${text}\` the part before \`/\` is empty`
  if (name === '') return `in the id \`${text}\` the part after \`/\` is empty`
  if (!typeForm.test(type))
    return type.length > 63
      ? `in the id \`${text}\` the type is longer than 63 characters`
      : `in the id \`${text}\` the type \`${type}\` must be a letter, then letters, digits and \`_\``
  if (name !== undefined && name.length > 1024) return `the id \`${type}/…\` has a name longer than 1024 characters`
  if (name !== undefined && !nameForm.test(name))
    return `in the id \`${text}\` the name must have no blanks, control or symbol characters`
  return { text: name === undefined ? type : `${type}/${name}`, type, name }
}
