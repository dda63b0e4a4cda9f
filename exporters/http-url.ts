/** The check of URLs that requests are sent to over HTTP. */
import type * as z from 'zod'
import { shownUrl } from '../core/shown-url.ts'

/** What a schema asks of such a URL; `example` is one that is right. */
export const checkHttpUrl =
  (example: string) =>
  (text: string, context: z.RefinementCtx): void => {
    const message = faultOf(text, example)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  }

function faultOf(text: string, example: string): string | undefined {
  const told = `\`${shownUrl(text)}\``
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return `${told} has no scheme; write a URL, such as \`${example}\``
  if (!URL.canParse(text)) return `${told} is no URL; write one such as \`${example}\``
  const { protocol } = new URL(text)
  return protocol === 'http:' || protocol === 'https:' ? undefined : `${told}: only http:// and https:// are known`
}
