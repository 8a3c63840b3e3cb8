/** Texts that many records share (origins, comments, nodes), each kept once and counted. */

export class Interned {
  readonly #ids = new Map<string, number>();
  readonly #texts: string[] = [''];
  readonly #uses: number[] = [0];
  readonly #free: number[] = [];

  /** A number for the text, to be given back with `release`. 0 stands for no text. */
  use(text: string | undefined): number {
    if (text === undefined) return 0;
    const known = this.#ids.get(text);
    if (known !== undefined) {
      this.#uses[known]!++;
      return known;
    }
    const id = this.#free.pop() ?? this.#texts.length;
    this.#ids.set(text, id);
    this.#texts[id] = text;
    this.#uses[id] = 1;
    return id;
  }

  text(id: number): string | undefined {
    return id === 0 ? undefined : this.#texts[id];
  }

  release(id: number): void {
    if (id === 0 || --this.#uses[id]! > 0) return;
    this.#ids.delete(this.#texts[id]!);
    this.#texts[id] = '';
    this.#free.push(id);
  }
}
