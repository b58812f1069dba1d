// python3 as a program that loads its interpreter: embed LIBRARY ARGUMENTS…, so that the interpreter is wherever a test puts it.
#include <dlfcn.h>
#include <stdio.h>

int main(int count, char **arguments) {
    void *library = count > 1 ? dlopen(arguments[1], RTLD_NOW | RTLD_GLOBAL) : NULL;
    int (*run)(int, char **) = NULL;
    if (library) *(void **)&run = dlsym(library, "Py_BytesMain");
    if (!run) {
        fprintf(stderr, "embed: %s\n", dlerror());
        return 1;
    }
    arguments[1] = arguments[0];
    return run(count - 1, arguments + 1);
}
