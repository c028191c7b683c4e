from pipelines.punctuation.recipe import main

main()
