/** Asking again and again, and showing what there is now. */
import { setTimeout as pause } from 'node:timers/promises'

/** Clears a terminal, and what was scrolled out of it. */
const clear = '\u001B[H\u001B[2J\u001B[3J'

/** Where it is shown. */
export interface Screen {
  readonly isTTY?: boolean
  write(text: string): unknown
}

/**
 * Shows what `page` resolves to every `seconds`: in a terminal in place of what was there, else one after the other. What
 * `page` could not find out is shown, too, and asked for again. Ends with `signal`, or as the process does.
 */
export async function watching(
  seconds: number,
  page: () => Promise<string>,
  screen: Screen = process.stdout,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  while (!signal.aborted) {
    const text = await page()
    const at = new Date().toISOString().slice(11, 19)
    screen.write(
      screen.isTTY === true ? `${clear}${at}  every ${seconds} s, Ctrl-C ends it\n\n${text}` : `--- ${at}\n${text}`,
    )
    await pause(seconds * 1000, undefined, { signal }).catch(() => undefined)
  }
}
