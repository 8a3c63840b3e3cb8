/** Objects as numbers from 1, for lists in which many places share one; 0 stands for none. */
export class Numbered<T extends object> {
  readonly #objects: (T | undefined)[] = [undefined];
  readonly #numbers = new Map<T, number>();
  #last: T | undefined;
  #lastNumber = 0;

  numberOf(object: T | undefined): number {
    if (object === this.#last) return this.#lastNumber;
    if (object === undefined) return 0;
    let number = this.#numbers.get(object);
    if (number === undefined) {
      number = this.#objects.push(object) - 1;
      this.#numbers.set(object, number);
    }
    this.#last = object;
    this.#lastNumber = number;
    return number;
  }

  at(number: number): T | undefined {
    return this.#objects[number];
  }
}
