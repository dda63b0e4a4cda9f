/** What a sender wrote, in what it is answered and in the log: not more of it than tells what is meant. */

/** Characters of it that are shown. */
const most = 100

/** The beginning of `text`, where whatever is not printable ASCII is written as its number. */
export function shownText(text: string): string {
  const begin = text.slice(0, most).replace(/[^\x20-\x7e]/g, sign => `\\x${sign.charCodeAt(0).toString(16)}`)
  return text.length > most ? `${begin}...` : begin
}
